import { createApp } from 'vue'
import App from './App.vue'
import './style.css'
import '@/frame/theme'

createApp(App).mount('#app')
